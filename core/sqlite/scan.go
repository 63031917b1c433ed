package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
)

// scan stores the values of a row. The driver gives int64, float64, string, []byte
// (each of them a copy that the caller may keep), and nil.
func scan(values []driver.Value, dest []any) error {
	if len(values) != len(dest) {
		return fmt.Errorf("scan a row of %d columns into %d variables", len(values), len(dest))
	}
	for i, v := range values {
		if err := store(v, dest[i]); err != nil {
			return fmt.Errorf("scan column %d: %w", i+1, err)
		}
	}
	return nil
}

// store has cases for what every row asks for, which spares them reflection.
func store(v driver.Value, dest any) error {
	switch d := dest.(type) {
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *[]byte:
		switch b := v.(type) {
		case nil:
			*d = nil
			return nil
		case []byte:
			*d = b
			return nil
		case string:
			*d = []byte(b)
			return nil
		}
	case *any:
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	return storeKind(v, dest)
}

// storeKind stores v in a variable of any type whose kind fits without loss.
func storeKind(v driver.Value, dest any) error {
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%T is not a pointer to a variable", dest)
	}
	d := p.Elem()
	switch v := v.(type) {
	case int64:
		switch {
		case d.CanInt() && !d.OverflowInt(v):
			d.SetInt(v)
			return nil
		case d.CanUint() && v >= 0 && !d.OverflowUint(uint64(v)):
			d.SetUint(uint64(v))
			return nil
		case d.CanFloat():
			d.SetFloat(float64(v))
			return nil
		case d.Kind() == reflect.Bool:
			d.SetBool(v != 0)
			return nil
		}
	case float64:
		if d.CanFloat() {
			d.SetFloat(v)
			return nil
		}
	case string:
		if d.Kind() == reflect.String {
			d.SetString(v)
			return nil
		}
	case []byte:
		switch {
		case d.Kind() == reflect.String:
			d.SetString(string(v))
			return nil
		case d.Kind() == reflect.Slice && d.Type().Elem().Kind() == reflect.Uint8:
			d.SetBytes(v)
			return nil
		}
	case nil:
		return fmt.Errorf("NULL does not fit %T", dest)
	}
	return fmt.Errorf("%T %v does not fit %T", v, v, dest)
}
