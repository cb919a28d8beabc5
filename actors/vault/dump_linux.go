package vault

import "golang.org/x/sys/unix"

// exclude keeps a page out of core dumps.
func exclude(page []byte) { _ = unix.Madvise(page, unix.MADV_DONTDUMP) }
