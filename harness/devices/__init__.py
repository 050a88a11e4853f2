"""Where a network runs: device specifications, the link to an agent process, and sessions on it."""
