//! What a structure is, as plain data: enough to build it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Family, Structure};
use crate::{Error, Result, Scalar};

/// A structure without parameters or plans, such as a checkpoint keeps: family, shape, rank, and what else products
/// depend on.
///
/// ```
/// use displace::{Builder, Description, Family};
///
/// let structure = Builder::new(Family::ToeplitzLike, 6, 4).rank(2).structure::<f32>()?;
/// let description = Description::of(&*structure);
/// assert_eq!((description.family, description.rank), (Family::ToeplitzLike, Some(2)));
/// assert_eq!(description.constants["order"], [6.0]);
/// assert_eq!(description.structure::<f64>()?.layout(), structure.layout());
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Description {
    /// The family.
    pub family: Family,
    /// Rows m.
    pub rows: usize,
    /// Columns n.
    pub cols: usize,
    /// The displacement rank, or the rank, where it is a choice.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub rank: Option<usize>,
    /// What [`Structure::constants`] says, by name.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "BTreeMap::is_empty"))]
    pub constants: BTreeMap<String, Vec<f64>>,
}

impl Description {
    /// Describes a structure.
    pub fn of<T: Scalar>(structure: &(impl Structure<T> + ?Sized)) -> Self {
        let constants = structure.constants().into_iter().map(|(name, values)| (name.to_string(), values));
        Self {
            family: structure.family(),
            rows: structure.rows(),
            cols: structure.cols(),
            rank: structure.rank(),
            constants: constants.collect(),
        }
    }

    /// The structure that is described. Where constants are left out, they are what
    /// [`Builder::structure`](crate::Builder::structure) chooses.
    ///
    /// # Errors
    ///
    /// As for [`Builder::structure`](crate::Builder::structure), [`Error::Constant`](crate::Error::Constant) for constants
    /// that the family does not have, and whatever the family refuses them for.
    pub fn structure<T: Scalar>(&self) -> Result<Arc<dyn Structure<T>>> {
        T::rebuild(self)
    }

    /// Refuses constants of other names.
    pub(crate) fn has_only(&self, names: &[&str]) -> Result<()> {
        match self.constants.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(self.bad_constant(name)),
            None => Ok(()),
        }
    }

    /// The numbers of a constant.
    pub(crate) fn numbers<T: Scalar>(&self, name: &str) -> Result<Vec<T>> {
        let numbers = self.constants.get(name).ok_or_else(|| self.bad_constant(name))?;
        Ok(numbers.iter().map(|&x| T::of(x)).collect())
    }

    /// The constant `"order"` of transforms, a single whole number, where these and no others are there.
    pub(crate) fn order(&self, names: &[&str]) -> Result<usize> {
        self.has_only(names)?;
        match self.numbers::<f64>("order")?[..] {
            // Whole numbers up to 2⁵³ are exact.
            [order] if (1.0..9.0e15).contains(&order) && order.fract() == 0.0 => Ok(order as usize),
            _ => Err(self.bad_constant("order")),
        }
    }

    pub(crate) fn bad_constant(&self, name: &str) -> Error {
        let len = self.constants.get(name).map_or(0, Vec::len);
        Error::Constant { family: self.family.name(), name: name.to_string(), len }
    }
}
