"""Writers of data sets: new splits, one encoding, face crops, parquet."""
