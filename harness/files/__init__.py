"""What lies on disk, met with care: bounded reading, numbers in their ranges, locks, leftovers of the killed, code that came along."""
