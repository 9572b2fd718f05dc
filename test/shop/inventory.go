package main

import (
	"context"
	"errors"
	"log"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
)

// searching is what inventory says before it waits for a customer who will hang up.
const searching = "searching the far warehouse"

// onTheShelf is what the stock database answers, by whether the goods are out.
var onTheShelf = map[bool]string{false: "3 on the shelf", true: "none on the shelf"}

var errStockDown = errors.New("stock database: connection refused")

// inventory uses a library that knows the standard log only; what it says belongs to no task.
func inventory(s *service) (http.Handler, error) {
	library := log.New(s.d.StdLog(zerolog.InfoLevel), "", 0)
	s.book.note("", "info", "stock cache warmed: 4 shelves")
	library.Print("stock cache warmed: 4 shelves")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reserve", func(w http.ResponseWriter, hr *http.Request) {
		r := requestOf(hr.Header)
		s.debug(hr.Context(), r, "looking for the goods")
		if r.fate == customerGone {
			s.info(hr.Context(), r, searching)
			<-hr.Context().Done()
			return
		}
		if err := s.queryStock(hr.Context(), r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if r.fate == outOfStock {
			s.info(hr.Context(), r, "shelf is empty")
			http.Error(w, "out of stock", http.StatusConflict)
		}
	})
	return dloghttp.Handler(s.d, mux), nil
}

func (s *service) queryStock(ctx context.Context, r request) error {
	return s.d.Do(ctx, "query-stock", func(ctx context.Context) error {
		if r.fate == stockDown {
			s.fail(ctx, r, errStockDown, "stock query failed")
			return errStockDown
		}
		s.debug(ctx, r, onTheShelf[r.fate == outOfStock])
		return nil
	})
}
