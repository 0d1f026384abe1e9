"""The replaced exporters: for each an adapter (its settings → a meterline configuration) and a page of its metrics.

adapter            what all adapters share
linky_env          Linky exporter with environment variables; linky_env_page: its metrics
linky_json         Linky exporter with a JSON file; linky_json_page: its metrics
linky_exporter     tells the two apart, which have one name
smartmeter         B-route exporter `smartmeter-exporter`; smartmeter_page: its metrics; smartmeter_scrapes: its scrapes
process_arguments  removes secrets from the process list
"""
