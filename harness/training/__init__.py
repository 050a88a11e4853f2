"""How accuracy is obtained, kept and judged: training, fine-tuning, evaluation."""
