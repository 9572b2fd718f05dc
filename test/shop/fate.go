package main

import (
	"fmt"
	"math/rand/v2"
)

// A fate is what will happen to an order. It is drawn before the order is placed and travels with it as a request header, so
// that each service knows where to fail; dlog knows nothing of it.
type fate string

const (
	fine         fate = "fine"
	outOfStock   fate = "out-of-stock"   // inventory answers 409: its task succeeds, checkout's goal fails
	stockDown    fate = "stock-down"     // inventory's database is away: 503, failed in two processes
	declined     fate = "declined"       // payments refuses the card in a task of its own
	crash        fate = "payments-panic" // payments panics
	flaky        fate = "flaky"          // the first charge fails, the second succeeds: the order succeeds
	mailboxFull  fate = "mailbox-full"   // the mail worker fails after the order succeeded
	customerGone fate = "customer-gone"  // the customer hangs up while inventory searches
)

// An order and what must become of it, as the shop itself knows it.
type order struct {
	ID      string `json:"order"`
	Fate    fate   `json:"fate"`
	Outcome string `json:"outcome"` // of the whole order
	Cause   string `json:"cause"`   // error text of the deepest failure, "" where the order did not fail
	Where   string `json:"where"`   // service in which the deepest failed task ran
}

// draw decides what happens to n orders; the same seed gives the same orders.
func draw(n int, seed uint64) []order {
	rnd := rand.New(rand.NewPCG(seed, 20))
	orders := make([]order, n)
	for i := range orders {
		o := order{ID: fmt.Sprintf("o-%03d", i+1), Fate: drawFate(rnd)}
		o.Outcome, o.Cause, o.Where = o.Fate.consequence(o.ID)
		orders[i] = o
	}
	return orders
}

func drawFate(rnd *rand.Rand) fate {
	trouble := []fate{outOfStock, stockDown, declined, crash, flaky, mailboxFull, customerGone}
	if rnd.IntN(100) < 60 {
		return fine
	}
	return trouble[rnd.IntN(len(trouble))]
}

func (f fate) consequence(id string) (outcome, cause, where string) {
	switch f {
	case outOfStock:
		return "failed", "out of stock", "checkout"
	case stockDown:
		return "failed", "stock database: connection refused", "inventory"
	case declined:
		return "failed", "card declined: limit of " + id + " exceeded", "payments"
	case crash:
		return "failed", "index out of range", "payments"
	case customerGone:
		return "cancelled", "", ""
	}
	return "succeeded", "", ""
}
