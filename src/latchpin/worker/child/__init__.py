"""The process that one run is: Scrapy on asyncio, without secrets, within limits. It reports to its worker through a pipe."""
