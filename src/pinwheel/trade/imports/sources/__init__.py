"""The sources: each reads one published layout, in all its versions, as records of products.

Words: a *source* recognises its columns, then yields a *record* a product, or a *fault* for a row
that is none, the same each time over the same file."""
