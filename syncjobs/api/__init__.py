"""Movement over REST: runs, deliveries, failed records, webhooks, the API log, and what they add to carts and orders."""
