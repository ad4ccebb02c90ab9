"""The page in a real browser: Debian's Chromium, driven by Playwright. `make test-browser` runs them.

Screenshots of every section are left in build/screenshots, to be looked at.
"""
