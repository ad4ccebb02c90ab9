"""A long trial of a real server: load, swaps, killed workers, hung-up clients. `make soak` runs it.

Every request that is sent ends in one of these: answered (and the answer is compared with what one version of
the model says), refused (with a reason that was to be expected), given up by the client on purpose, in flight
in a worker that was killed, or lost. Lost must be 0.
"""
