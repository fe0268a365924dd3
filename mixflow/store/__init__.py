"""The store: declared variables in Zarr v3, held as xarray; readers of raw formats; provenance."""
