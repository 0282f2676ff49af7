"""Tests of the web pages in headless Chromium."""
