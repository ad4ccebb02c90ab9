"""The front doors, one module each. A door reads HTTP, asks the repository, writes HTTP."""
