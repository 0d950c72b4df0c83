"""Files for other runtimes than torch: export and quantisation."""
