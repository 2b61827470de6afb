"""Parts that several commands share: options, tables, progress bars, the cache folder."""
