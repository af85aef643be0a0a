"""Read and write Zarr arrays with the GPU, or on the CPU with the same API and the same values."""
