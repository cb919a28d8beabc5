package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of the percent form of percent-or-size.
const (
	minPercent = 1
	maxPercent = 90 // the rest is for the node itself and for the system
)

// maxText bounds a value as text, bytes: a thousand user interfaces are shown
// all of them.
const maxText = 16 << 10

// noNumber is the value of a number that was left blank.
const noNumber = -1

// fault says what is wrong with one value, and what to do.
type fault struct{ value, cause, next string }

var tooLong = "is longer than " + formatSize(maxText)

// parseText turns what a person wrote (flag, environment, default) into the
// value of the option's kind.
func (o *Option) parseText(text string) (any, *fault) {
	if !utf8.ValidString(text) {
		return nil, &fault{text, "is not UTF-8", "write " + o.AllowedText()}
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return nil, &fault{text, "contains a control character", "leave it out"}
	}
	if len(text) > maxText {
		return nil, &fault{text, tooLong, "shorten it"}
	}
	switch o.Kind {
	case KindBool:
		return o.parseBool(text)
	case KindInt:
		return o.parseInt(text)
	case KindDuration:
		return o.parseDuration(text)
	case KindSize:
		return o.parseSize(text)
	case KindShare:
		return o.parseShare(text)
	case KindAddress:
		return o.parseAddress(text)
	case KindListen:
		return o.parseListen(text)
	case KindEnum:
		if !slices.Contains(o.Allowed, text) {
			return nil, &fault{text, "is not a choice", "write one of: " + strings.Join(o.Allowed, ", ")}
		}
		return text, nil
	case KindList:
		return o.parseList(splitList(text))
	default:
		return o.parseString(text)
	}
}

// parseString checks text and path values; blank means not set, where there is
// no default.
func (o *Option) parseString(text string) (any, *fault) {
	if (text != "" || o.Default != "") && o.check != nil {
		if cause := o.check(text); cause != "" {
			return nil, &fault{text, cause, "allowed are " + o.AllowedText()}
		}
	}
	return text, nil
}

func (o *Option) parseBool(text string) (any, *fault) {
	switch text {
	case "true", "on":
		return true, nil
	case "false", "off":
		return false, nil
	}
	return nil, &fault{text, "is neither true nor false", "write true or false"}
}

func (o *Option) parseInt(text string) (any, *fault) {
	if text == "" && o.Blank != "" {
		return noNumber, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, &fault{text, "is not a whole number", "allowed are " + o.AllowedText()}
	}
	if f := o.inRange(text, n); f != nil {
		return nil, f
	}
	return int(n), nil
}

func (o *Option) parseDuration(text string) (any, *fault) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, &fault{text, "is not a duration", "write a number with a unit, as 500ms, 30s or 1m30s; allowed are " + o.AllowedText()}
	}
	if f := o.inRange(text, int64(d)); f != nil {
		return nil, f
	}
	return d, nil
}

func (o *Option) parseSize(text string) (any, *fault) {
	n, ok := sizeOf(text)
	if !ok {
		return nil, &fault{text, "is not a size", "write bytes, or a number with KiB, MiB or GiB, as 1048576 or 1MiB; allowed are " + o.AllowedText()}
	}
	if f := o.inRange(text, n); f != nil {
		return nil, f
	}
	return n, nil
}

func (o *Option) parseShare(text string) (any, *fault) {
	digits, percent := strings.CutSuffix(text, "%")
	if !percent {
		n, ok := sizeOf(text)
		if !ok {
			return nil, &fault{text, "is neither a percentage nor a size", "write it as 25% or 512MiB; allowed are " + o.AllowedText()}
		}
		if f := o.inRange(text, n); f != nil {
			return nil, f
		}
		return formatSize(n), nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, &fault{text, "is not a percentage", "write a whole number with %, as 25%"}
	}
	if n < minPercent || n > maxPercent {
		return nil, &fault{text, "is out of range", "allowed are " + o.AllowedText()}
	}
	return fmt.Sprintf("%d%%", n), nil
}

func (o *Option) inRange(text string, n int64) *fault {
	if (n >= o.Min && n <= o.Max) || (n == 0 && o.Zero != "") {
		return nil
	}
	return &fault{text, "is out of range", "allowed are " + o.AllowedText()}
}

func (o *Option) parseAddress(text string) (any, *fault) {
	if text == "localhost" || (o.Kind == KindAddress && slices.Contains(o.Allowed, text)) {
		return text, nil
	}
	if _, err := netip.ParseAddr(text); err != nil {
		next := "write an IP address, as 127.0.0.1, 0.0.0.0 or ::1, or localhost"
		if o.Kind == KindAddress && len(o.Allowed) > 0 {
			next += ", or " + strings.Join(o.Allowed, ", ")
		}
		if _, _, err := net.SplitHostPort(text); err == nil {
			next += "; the port is an option of its own"
		}
		return nil, &fault{text, "is not an IP address", next}
	}
	return text, nil
}

func (o *Option) parseListen(text string) (any, *fault) {
	if slices.Contains(o.Allowed, text) {
		return text, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, &fault{text, "is not address:port", "write it as " + o.Default + ", or one of: " + strings.Join(o.Allowed, ", ")}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return nil, &fault{text, "has no port number from 0 to 65535", "write it as " + o.Default}
	}
	if o.Loopback && !isLoopback(host) {
		next := "this is served to programs of this machine only: write " + o.Default + ", or one of: " + strings.Join(o.Allowed, ", ")
		return nil, &fault{text, "is not a loopback address", next}
	}
	if _, f := o.parseAddress(host); f != nil {
		return nil, &fault{text, "does not start with an IP address", "write it as " + o.Default}
	}
	return text, nil
}

// parseList checks each text of a list; items keep their order.
func (o *Option) parseList(items []string) (any, *fault) {
	if text := strings.Join(items, ","); len(text) > maxText {
		return nil, &fault{text, tooLong, "shorten it"}
	}
	for _, item := range items {
		if item == "" || strings.ContainsFunc(item, unicode.IsControl) || !utf8.ValidString(item) {
			return nil, &fault{item, "is blank or contains a control character", "leave it out of the list"}
		}
		// The list must read back as it was: flags and environment join by commas.
		if strings.Contains(item, ",") || strings.TrimSpace(item) != item {
			return nil, &fault{item, "contains a comma, or a space at its end", "write each text of the list by itself"}
		}
		if o.check == nil {
			continue
		}
		if cause := o.check(item); cause != "" {
			return nil, &fault{item, cause, "allowed are " + o.AllowedText()}
		}
	}
	return items, nil
}

// parseFile turns a decoded TOML value into the value of the option's kind. It is
// stricter than parseText: a number in quotes is a mistake in a typed file.
func (o *Option) parseFile(raw any) (any, *fault) {
	switch v := raw.(type) {
	case string:
		if o.Kind == KindInt || o.Kind == KindBool {
			return nil, &fault{v, "is text, not " + o.Kind.withArticle(), "write it without quotes; allowed are " + o.AllowedText()}
		}
		return o.parseText(v)
	case int64:
		if o.Kind == KindInt || o.Kind == KindSize || o.Kind == KindShare {
			return o.parseText(strconv.FormatInt(v, 10))
		}
	case bool:
		if o.Kind == KindBool {
			return v, nil
		}
	case []any:
		if o.Kind != KindList {
			break
		}
		items := make([]string, 0, len(v))
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, &fault{fmt.Sprint(item), "is not text", "write each text of the list in quotes, as " + o.fileExample("a,b")}
			}
			items = append(items, text)
		}
		return o.parseList(items)
	}
	value := fmt.Sprint(raw)
	if _, table := raw.(map[string]any); table {
		value = ""
	}
	return nil, &fault{value, "is " + tomlType(raw) + ", not " + o.Kind.withArticle(), "write it as " + o.Name + " = " + o.fileExample(o.sample()) + "; allowed are " + o.AllowedText()}
}

// tomlType names the type of a decoded TOML value, with its article.
func tomlType(raw any) string {
	switch raw.(type) {
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}

// sample gives a value that the option takes, for examples.
func (o *Option) sample() string {
	switch {
	case o.Secret, o.Inert:
		return "..."
	case o.Default != "":
		return o.Default
	case o.example != "":
		return o.example
	default:
		return o.Name
	}
}

// format writes a value of the option's kind as people write it; parseText
// reads it back.
func (o *Option) format(value any) string {
	switch v := value.(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return formatDuration(v)
	case int64:
		return formatSize(v)
	case int:
		if v == noNumber {
			return ""
		}
		return strconv.Itoa(v)
	default:
		return fmt.Sprint(v)
	}
}

// splitList cuts a comma list into its texts, without the spaces around them.
func splitList(text string) []string {
	if strings.TrimSpace(text) == "" {
		return []string{}
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// sizeUnits are the units of a size, largest first, in bytes.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"TiB", 1024 * gib}, {"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"B", 1}, {"", 1}}

// sizeOf reads a size, bytes. Decimal units (kB, MB) are refused: people mean
// both 1,000 and 1,024 by them.
func sizeOf(text string) (int64, bool) {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || n > math.MaxInt64/uint64(unit.bytes) {
			return 0, false
		}
		return int64(n) * unit.bytes, true
	}
	return 0, false
}

// formatSize writes n bytes in the largest unit that needs no fraction.
func formatSize(n int64) string {
	for _, unit := range sizeUnits {
		if n != 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.suffix
		}
	}
	return "0B"
}

// formatDuration writes d in the largest unit that needs no fraction, as
// people write it: 75s, not 1m15s.
func formatDuration(d time.Duration) string {
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d != 0 && d%unit.length == 0 {
			return strconv.FormatInt(int64(d/unit.length), 10) + unit.suffix
		}
	}
	return d.String()
}

// isLoopback tells whether host, an IP address or localhost, is this machine
// by itself; no name is looked up.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
