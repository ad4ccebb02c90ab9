"""The application as processes on a machine: sockets, connections, workers, the start and the end."""
