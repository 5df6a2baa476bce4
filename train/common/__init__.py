"""What several trainings share: checkpoints, averages, batch-norm folding, generator metrics,
synthetic data.
"""
