"""The course of a search: ask, submit, learn, promote, stop, resume, share."""
