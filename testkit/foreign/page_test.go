package foreign_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
)

// evil is a host name that leads to this machine, as names of strangers can: DNS rebinding.
const evil = "evil.example"

// TestChromium opens web pages in a headless Chromium, one for all, because it takes its time to start.
func TestChromium(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	browser := openBrowser(ctx, t)
	// Each server of pages is another port, and so another origin than whatever the pages talk to.
	pages := httptest.NewServer(http.FileServer(http.Dir(".")))
	defer pages.Close()
	strangers := httptest.NewServer(http.FileServer(http.Dir(".")))
	defer strangers.Close()

	talk := func(ctx context.Context, conversation, address string, tell func(string)) error {
		tab, closeTab := chromedp.NewContext(browser)
		defer closeTab()
		hear := chromedp.ExposeFunc("tell", func(_ context.Context, line string) (bool, error) {
			tell(line)
			return true, nil
		})
		if err := chromedp.Do(tab, hear, chromedp.Navigate(pages.URL+"/page.html")); err != nil {
			return fmt.Errorf("foreign: open the page: %w", err)
		}
		script := fmt.Sprintf("%s(WebSocket, %q, tell)", conversation, address)
		if _, err := chromedp.Run(tab, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise)); err != nil {
			return fmt.Errorf("foreign: the page: %w", err)
		}
		return nil
	}
	t.Run("relay", func(t *testing.T) { expectConversation(ctx, t, talk) })
	t.Run("user interfaces", func(t *testing.T) { expectGovernment(ctx, t, pages.URL, talk) })
	t.Run("strangers", func(t *testing.T) { expectRefusals(ctx, t, browser, pages.URL, strangers.URL) })
}

// openBrowser starts a Chromium, and returns the context that its tabs descend from.
func openBrowser(ctx context.Context, t *testing.T) context.Context {
	t.Helper()
	// The user-data directory is a new empty one each time, which chromedp makes and removes.
	ctx, closeBrowser := chromedp.NewExecAllocator(
		ctx,
		chromedp.ExecPath(program(t, "chromium", "chromium-browser", "google-chrome")),
		chromedp.Headless,
		chromedp.NoFirstRun,
		chromedp.NoSandbox, // CI runs as root, where Chromium's own sandbox refuses to start
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), // containers have a small /dev/shm
		chromedp.Flag("host-resolver-rules", "MAP "+evil+" 127.0.0.1"),
	)
	t.Cleanup(closeBrowser)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("foreign: start the browser: %v", err)
	}
	return ctx
}
