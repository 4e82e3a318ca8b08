"""One script per question. Each prints a readable table, then JSON: ratios against peers in the same run."""
