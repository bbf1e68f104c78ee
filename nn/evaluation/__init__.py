"""What results are worth: intervals by block bootstrap, deflated Sharpe ratio, probability of overfitting."""
