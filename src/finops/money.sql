-- Exact money. DECIMAL(38,24) throughout; in: text or DOUBLE of any vendor.
-- The functions live in the store, so that views may use them and people too.

-- Decimal text that the type holds as it stands: no exponent, no digit to round.
CREATE OR REPLACE MACRO finops.is_plain_decimal(t) AS
    regexp_full_match(t, '[-+]?\d{0,14}(\.\d{0,24})?');

-- Any number as text without exponent, all its digits kept; '' where it is no number.
CREATE OR REPLACE MACRO finops.plain_decimal(t) AS list_transform(
    [regexp_extract(t, '^([-+]?)(\d*)\.?(\d*)(?:[eE]([-+]?\d{1,4}))?$', ['sign', 'whole', 'part', 'power'])],
    lambda n: n.sign || list_transform(
        [{'digits': n.whole || n.part, 'point': length(n.whole) + coalesce(try_cast(n.power AS INTEGER), 0)}],
        lambda d: CASE
            WHEN d.digits = '' THEN ''
            WHEN d.point <= 0 THEN '0.' || repeat('0', -d.point) || d.digits
            WHEN d.point >= length(d.digits) THEN d.digits || repeat('0', d.point - length(d.digits))
            ELSE left(d.digits, d.point) || '.' || substr(d.digits, d.point + 1)
        END
    )[1]
)[1];

-- Half to even: CAST rounds halves away from zero, so a tie above an even digit is cut.
-- The lambda names its argument: a macro repeats it wherever it is used, to be planned again.
CREATE OR REPLACE MACRO finops.round_half_even(plain) AS list_transform([plain], lambda p: CASE
    WHEN regexp_full_match(p, '[-+]?\d*\.\d{23}[02468]50*')
    THEN CAST(left(p, strpos(p, '.') + 24) AS DECIMAL(38, 24))
    ELSE CAST(p AS DECIMAL(38, 24))
END)[1];

-- Text to money; an error where the text is no number or has 15 digits before the point.
CREATE OR REPLACE MACRO finops.money(t) AS CASE
    WHEN finops.is_plain_decimal(t) THEN CAST(t AS DECIMAL(38, 24))
    ELSE finops.round_half_even(finops.plain_decimal(t))
END;

-- DOUBLE to money through its shortest decimal text. Ten decimals that read back as the
-- same DOUBLE, below 100000 (15 digits in all), are that text; writing it is the slow way.
CREATE OR REPLACE MACRO finops.money_of_double(d) AS CASE
    WHEN abs(d) < 1e5 AND CAST(CAST(d AS DECIMAL(18, 10)) AS DOUBLE) = d
    THEN CAST(CAST(d AS DECIMAL(18, 10)) AS DECIMAL(38, 24))
    ELSE finops.money(CAST(d AS VARCHAR))
END;

-- Whether a digit beyond the 24th decimal is lost.
CREATE OR REPLACE MACRO finops.is_rounded(t) AS
    NOT finops.is_plain_decimal(t)
    AND regexp_full_match(finops.plain_decimal(t), '[-+]?\d*\.\d{24}\d*[1-9]\d*');
