"""A search for better choices than the defaults, on validation rows.

space        what is searched, around the defaults
study        the file that remembers the trials
search       one trial after another, poor ones ended early
flags        choices as words for `foldserve train`
summary      the best trials as a table
plots        history and importances
progress     what a person sees meanwhile

Optuna is imported by this package alone, and by nothing that trains or serves.
"""
