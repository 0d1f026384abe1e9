"""MQTT, with the discovery of Home Assistant. Imported where `mqtt:` is configured.

entities    what each family of the catalogue is for Home Assistant
identity    which device a meter is, and its topics
discovery   a device and its entities as Home Assistant takes them
state       what a meter says now, as one object of JSON
pace        when a meter is due to be sent
retained    what lies on the broker from before, compared with what belongs there
presence    whether this process lives, and who else says so
connection  how the broker is reached, and why not
publisher   the task that does all of that
"""
