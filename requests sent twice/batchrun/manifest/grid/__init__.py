"""The Manifest -> cells: how a grid is laid out, walked, sampled and checked; a cell's origin."""
