package foreign_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestChromiumPage lets a web page in a headless Chromium hold the conversation. The page comes from another port than the relay,
// so that it is a foreign origin, as with a public relay.
func TestChromiumPage(t *testing.T) {
	browser := program(t, "chromium", "chromium-browser", "google-chrome")
	pages := httptest.NewServer(http.FileServer(http.Dir(".")))
	defer pages.Close()

	expectConversation(t, func(ctx context.Context, address string, tell func(string)) error {
		// The user-data directory is a new empty one each time, which chromedp makes and removes.
		ctx, closeBrowser := chromedp.NewExecAllocator(
			ctx,
			chromedp.ExecPath(browser),
			chromedp.Headless,
			chromedp.NoFirstRun,
			chromedp.NoSandbox, // CI runs as root, where Chromium's own sandbox refuses to start
			chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true),
			chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-sync", true),
			chromedp.Flag("disable-dev-shm-usage", true), // containers have a small /dev/shm
		)
		defer closeBrowser()
		ctx, closeTab := chromedp.NewContext(ctx)
		defer closeTab()

		hear := chromedp.ExposeFunc("tell", func(_ context.Context, line string) (bool, error) {
			tell(line)
			return true, nil
		})
		if err := chromedp.Do(ctx, hear, chromedp.Navigate(pages.URL+"/page.html")); err != nil {
			return fmt.Errorf("foreign: open the page: %w", err)
		}
		talk := fmt.Sprintf("converse(WebSocket, %q, tell)", address)
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](talk, chromedp.EvalAwaitPromise)); err != nil {
			return fmt.Errorf("foreign: the page: %w", err)
		}
		return nil
	})
}
