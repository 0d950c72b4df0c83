"""From scores and labels to numbers with their intervals."""
