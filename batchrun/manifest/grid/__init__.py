"""The Manifest -> cells: how a grid is laid out, walked, sampled and checked, and where a cell comes from."""
