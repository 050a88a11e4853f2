"""Where trials run: in this process, in child processes, on a Dask cluster."""
