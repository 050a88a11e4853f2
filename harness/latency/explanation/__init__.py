"""What costs what, and why: ledger, roofs, shares, staircases, and which group to prune next."""
