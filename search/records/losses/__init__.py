"""What a network lost, and how sure it is that it lost no more: drops with intervals, certainty from the pictures judged on."""
