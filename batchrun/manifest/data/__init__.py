"""What stands beside a manifest: data files and local files."""
