"""What questions share: how time and memory are measured, peers, layouts, limits, tables and pictures."""
