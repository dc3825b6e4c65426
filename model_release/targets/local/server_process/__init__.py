"""What a local model server runs: started by path in the model's environment."""
