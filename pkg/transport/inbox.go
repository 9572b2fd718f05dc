package transport

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// inboxOf finds the inbox prefix that a user's JWT allows, so that least-permission
// credentials work without a second setting; "" leaves the default. Nothing is
// trusted by it: the server checks the permission.
func inboxOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Nats struct {
			Sub struct {
				Allow []string `json:"allow"`
			} `json:"sub"`
		} `json:"nats"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return ""
	}
	for _, allow := range claims.Nats.Sub.Allow {
		prefix, ok := strings.CutSuffix(allow, ".>")
		if ok && strings.HasPrefix(prefix, "_INBOX") && !strings.ContainsAny(prefix, "*>") {
			return prefix
		}
	}
	return ""
}
