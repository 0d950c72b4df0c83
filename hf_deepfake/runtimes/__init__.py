"""Other runtimes than torch: exported files, quantisation, and who answers fastest here."""
