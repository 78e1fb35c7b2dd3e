// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

// Cached is how many paths are known.
func (c *Client) Cached() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
