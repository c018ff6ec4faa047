-- One row for each authority and measure, as the returns have them. Nothing is computed: DfE computes rates itself.
SELECT
    la_code,
    financial_year,
    quarter,
    measure_id,
    measure_value,
    measure_quality
FROM indicators
