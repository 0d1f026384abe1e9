"""The cost of energy: from the registers of the meter, at the price in force when they rose; never from power.

`pricing.lines` is where a kWh gets its price.

tariff           the prices of the configuration, checked
time_conditions  hours, days of the week, dates
public_holidays  holidays of a country, from the library of that name
calendar         local days, billing periods and hours, also across changes to and from summer time
pricing          `lines` gives each kWh of a rise its price, by time and by tier
totals           the lines of a day, and the totals
account          books each rise of a register
standing_charge  the charge of each day since the account began, once
mark             a value of a register, and its time
codec            an account as data for JSON, and back
clock            wall-clock time in whole seconds; none while a large step is unconfirmed
contract_check   compares the tariffs with the contract that the meter names
price_lapses     prices, levies and holidays that end
meter_account    one meter and its account
billing          the accounts of all meters: booked, shown and stored
invoice          days and months as a table, and their comparison with a bill
"""
