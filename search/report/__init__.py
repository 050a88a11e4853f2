"""What a person reads of a campaign: summary, tables, plots, threats, and the page that holds them."""
