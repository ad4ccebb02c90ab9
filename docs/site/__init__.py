"""The folder that the site is built from: the written pages, those generated from code, what they link to.

`python -m docs.site` writes build/docs; no generated page is committed, so none can go stale.

stage                                what is copied, and how links out of docs/ are led
cli, python, http                    the commands, the Python API, the doors of the server
tables                               settings, metrics, metadata, reason codes
markdown                             a table, a text in a cell
"""
