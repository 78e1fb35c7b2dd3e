// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	amzTime   = "20060102T150405Z"
)

// sign signs req for S3 with AWS Signature Version 4. All headers that it has
// are signed; it must have no query. payload is the SHA-256 of the body in hex.
func sign(req *http.Request, payload string, c Credentials, region string, now time.Time) {
	at := now.UTC().Format(amzTime)
	req.Header.Set("X-Amz-Date", at)
	req.Header.Set("X-Amz-Content-Sha256", payload)
	if !c.SessionToken.Empty() {
		req.Header.Set("X-Amz-Security-Token", c.SessionToken.Reveal())
	}
	headers := map[string]string{"host": req.URL.Host}
	for name, values := range req.Header {
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		headers[strings.ToLower(name)] = strings.Join(trimmed, ",")
	}
	names := slices.Sorted(maps.Keys(headers))
	var canonical strings.Builder
	canonical.WriteString(req.Method + "\n" + req.URL.EscapedPath() + "\n\n")
	for _, name := range names {
		canonical.WriteString(name + ":" + headers[name] + "\n")
	}
	signed := strings.Join(names, ";")
	canonical.WriteString("\n" + signed + "\n" + payload)

	scope := at[:8] + "/" + region + "/s3/aws4_request"
	digest := sha256.Sum256([]byte(canonical.String()))
	text := strings.Join([]string{algorithm, at, scope, hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + c.SecretKey.Reveal())
	for _, part := range []string{at[:8], region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", algorithm+" Credential="+c.AccessKey+"/"+scope+
		", SignedHeaders="+signed+", Signature="+hex.EncodeToString(mac(key, text)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escape writes a path as signatures have it: everything but unreserved
// characters and the slashes between names is percent-encoded.
func escape(path string) string {
	const hexadecimal = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + string(hexadecimal[c>>4]) + string(hexadecimal[c&15]))
		}
	}
	return b.String()
}
