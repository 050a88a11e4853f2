"""From measured networks to the latency of any network: what a site costs, fitted and judged on networks held out."""
