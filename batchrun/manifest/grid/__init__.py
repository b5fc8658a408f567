"""The Manifest -> cells: how a grid is laid out, sized, walked, sampled, checked, and searched."""
