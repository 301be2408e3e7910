"""Servers, clients, replayers and data that the tests share."""
