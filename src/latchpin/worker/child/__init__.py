"""The process that one run is: Scrapy on asyncio, without secrets, within limits. Its worker hears of it through a pipe."""
