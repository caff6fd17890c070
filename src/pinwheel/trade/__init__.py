"""Trade: what is sold, by whom, at what price, and how it is ordered and paid."""
